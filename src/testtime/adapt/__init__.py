"""The adapt engine: any module and episodes in, adapted weights out."""
