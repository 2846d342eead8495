"""PID 1 of the MongooseIM member image."""
