"""What is to be worked next: `agenda` holds the slices that are not settled yet, and tells which are ready."""
