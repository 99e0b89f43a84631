"""What has been: updates, releases and verdicts, from where they are kept anyway."""
