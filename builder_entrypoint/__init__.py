"""`/build.sh` of the MongooseIM builder image: builds a release tarball from any commit."""

from member_entrypoint import VERSION

__all__ = ["VERSION"]
