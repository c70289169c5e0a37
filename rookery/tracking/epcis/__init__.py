"""The EPCIS 2.0 and CBV 2.0 formats: read, checked, told apart, written. Pure."""
