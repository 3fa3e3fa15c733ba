"""Tests of proposals (pull requests) on the Hub."""
