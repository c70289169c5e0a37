"""A real Indian parcel network of 2018 as a Rookery feed, a day of its trips as orders, against what was recorded."""
