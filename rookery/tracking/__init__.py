"""Tracking: every scan an EPCIS event, in its place and time; what contains what; what it means to a customer."""
