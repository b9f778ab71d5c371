"""Images from files to batches on the device, and what a data set must provide."""
