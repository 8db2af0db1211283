# tries: to change the variables that every sandbox has
# protection: the check of every name before a job exists
# request: {"env": {"PATH": "/tmp"}}
# inside: invalid_request
def main():
    return "set"
