"""Webhooks: telling endpoints of others what happened, each piece of news once in effect, in the order of its key.

endpoints (who wants to hear what), deliveries (what is said to whom, and what came of it), delivering (the loop that
sends), sending (one request), targets (which addresses may be sent to), signing and backoff (pure).
"""
