"""The image that relays boot: built here from Debian's packages, and put into a cloud."""
