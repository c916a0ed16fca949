"""In-context learning by a pretrained GPT-2, and test-time training of it: pretraining and figures."""
