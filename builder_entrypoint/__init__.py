"""`/build.sh` of the MongooseIM builder image: from any commit to a tarball that can be trusted."""

from member_entrypoint import VERSION

__all__ = ["VERSION"]
