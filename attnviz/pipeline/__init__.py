"""From texts to results and files: sources, the job that is done with each, the processes that share it, the folder."""
