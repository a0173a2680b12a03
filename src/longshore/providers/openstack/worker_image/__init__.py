"""The image that worker servers boot: built here from Debian's packages, and put into a cloud."""
