"""Tests: `unit` (pure), `integration` (real services), `acceptance` (the command)."""
