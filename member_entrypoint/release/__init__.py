"""The release on the disk: its tarball, its configuration, its flags."""
