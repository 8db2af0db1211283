# tries: to ask for more than the server gives
# protection: the check against the server's limits, which the workers keep besides
# request: {"limits": {"wall_seconds": 15.001}}
# inside: invalid_request
def main():
    return "granted"
