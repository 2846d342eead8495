"""`/build.sh` of the MongooseIM builder image: from any commit to a tarball that can be trusted."""

VERSION = "0.1.0"
