"""python -m stackbert"""

from stackbert.cli import main

main()
