"""What a run tells about itself: `log` for what happened, without a secret in it."""
