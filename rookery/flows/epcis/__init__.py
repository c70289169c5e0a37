"""What is offered under /epcis: events handed in and asked for, queries kept by name, subscribers told."""
