#!/bin/sh
# A container has no service manager: packages must not start services when they are installed.
exit 101
