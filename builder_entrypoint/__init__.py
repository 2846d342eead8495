"""`/build.sh` of the MongooseIM builder image: builds a release tarball from any commit."""

VERSION = "0.1.0"
