#!/bin/sh
# Called by Keepalived as: notify.sh INSTANCE|GROUP name MASTER|BACKUP|FAULT|STOP priority
# One line to the system's log for every change of state; add your pager here.
logger -t veil-vip "$1 $2 is now $3 (priority ${4:-unknown})"
