"""Addresses at the portal that ERP5's clients know: ingestion policies, streams, and scripts of the skins."""
