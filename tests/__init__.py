"""The tests: a package, so that none of the same name that some distribution installs comes before it."""
