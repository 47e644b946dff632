"""Turns a model into the artefact that is registered, and runs that artefact's own handler.

The only room that knows snowflake-ml-python's private packager.
"""
