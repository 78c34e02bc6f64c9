"""Settings under which what serves changes when somebody asks for it, and not by itself.

For demo, benchmarks and tests that count generations or deployments: a refresh in between is one more.
"""

ONLY_ASKED = {"SEARCHLOOP_REFRESH_EVERY": "PT0S"}
