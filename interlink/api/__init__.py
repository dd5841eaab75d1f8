"""The REST surface, by Falcon. Sees the Driver protocol and nothing below it; the only user of Falcon."""
