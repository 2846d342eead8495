"""`/build.sh` of the MongooseIM builder image."""
