"""Many adapters on one base model, over HTTP; needs ``pip install 'testtime[serve]'``."""
