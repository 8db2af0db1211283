# tries: to replace a file with a link between the check and the reading, repeatedly
# protection: the check is on the opened file; links are never followed
# inside: 1
# files: f|
import os, subprocess, sys


def main():
    os.mkdir("outputs")
    open("outputs/f", "w").close()
    open(".g", "w").close()
    swap = "import os\nos.symlink('/etc/passwd', '.l')\nwhile True:\n os.rename('.l', 'outputs/f'); os.symlink('/etc/passwd', '.l'); os.link('.g', '.h'); os.rename('.h', 'outputs/f')"
    subprocess.Popen([sys.executable, "-c", swap], stderr=subprocess.DEVNULL)
    return 1
