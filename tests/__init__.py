"""The suite: it runs against real PostgreSQL, PostgREST and HAProxy, nothing is imitated."""
