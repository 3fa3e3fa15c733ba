"""Push, pull, status and sync: versions on the Hugging Face Hub."""
