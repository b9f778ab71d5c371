"""What the machine gives a job: device, memory, scratch disk, a look-ahead thread; what the job has used of it."""
