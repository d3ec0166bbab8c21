"""What tests share: a cluster, databases cloned from a template, real servers, HTTP clients."""
