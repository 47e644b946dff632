"""The profile: the user's YAML configuration, checked as a whole before anything happens.

``load`` finds and reads one, ``overrides`` adds the ``--set`` flags, ``locate`` knows where profiles lie and
``json_schema`` describes them to editors. Importing these is cheap: YAML and pydantic come in when a file is read.
"""
