# tries: to request more than the server's limits
# protection: the check against the server's limits, which the workers enforce too
# request: {"limits": {"wall_seconds": 15.001}}
# inside: invalid_request
def main():
    return "granted"
