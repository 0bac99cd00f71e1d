# What --help prints. contrib/man/parley-testnet.1 has the same commands and options; tests/integration/man.sh compares the two.
# shellcheck shell=bash

commands() { echo up status link cut heal pause resume kill start logs shell down help; }

help_of() {
  case $1 in
    '') cat <<'END' ;;
Usage: contrib/testnet COMMAND [OPTIONS]

Test networks that can be broken: several states on this machine, each with
its keys, store and parleyd, and between them a wire that can be cut, slow or
bad. What is real is used as it is: only the wire is ours.

    contrib/testnet up                        seven nodes in a ring
    contrib/testnet status                    what they are like, as it changes
    contrib/testnet cut FIN CHE               no word between these two
    contrib/testnet kill SGP                  kill -9
    contrib/testnet shell FIN                 parley send --to SGP …
    contrib/testnet heal; contrib/testnet start
    contrib/testnet down                      leaves nothing behind

Commands, each with a --help of its own
  up        make a network and start it
  status    nodes, links, entries, frontiers, lag, and the faults in force
  link      show a link, or give it faults: delay, loss, flips and others
  cut       let nothing pass over a link
  heal      take cuts and faults of links away again
  pause     stop nodes as they are (SIGSTOP)
  resume    let them go on
  kill      end nodes without a warning (SIGKILL)
  start     start nodes that are down
  logs      what nodes have logged
  shell     a shell in the place of a node
  down      end a network and take away all that was made for it
  help      this, or the help of a command

Options of every command
  --dir DIR    folder of the network; else $PARLEY_TESTNET_DIR, else
               parley-testnet-UID in $TMPDIR or /tmp. Several networks run
               side by side, each in its folder.
  -h, --help   help

Exit codes: 0 done, 1 it did not work, 2 the command line is wrong, 3 there is
no such network or node, or it is not in the state that it takes, 4 this
machine lacks something.
END
    up) cat <<'END' ;;
Usage: contrib/testnet up [OPTIONS]

Make a network and start it. Builds parleyd and parley first, as contrib/demo
does, unless $PARLEY, $PARLEYD and $PARLEY_WIRE name the programs to use. If
anything goes wrong, what was made so far is taken away again.

  --nodes N            2 to 26 nodes, 7 if not given
  --topology ring      each node has links to two others (the default)
  --topology mesh      each node has a link to every other
  --topology FILE      a line each: "FIN CHE", a link, which may be followed by
                       its faults as the command link has them; "FIN 60.2
                       24.9", a place in degrees north and east. A link between
                       two places has a delay of 8 us a km, unless it says
                       another. Lines with # in front are skipped.
  --backend processes  the default: nodes have loopback addresses, and a relay
                       passes on what they say. It needs nothing.
  --backend netns      each node has a network namespace, and IP packets pass
                       from one to another, or do not. It needs root, ip and
                       /dev/net/tun.
  --backend containers each node is a container of podman or docker, and each
                       link a private network. The image holds the programs and
                       their libraries; nothing is pulled. Links can be cut;
                       they have no other faults.
  --seed N             of what happens to records and packets, 1 if not given
  --set KEY=VALUE      a line for each node's parley.conf; may be repeated
END
    status) cat <<'END' ;;
Usage: contrib/testnet status [--once] [--json] [--every SECONDS]

Show nodes and links, again and again on a terminal. For each node: whether it
runs; how many of its links are live, of how many; entries in its store; its
frontier in short, which is equal on nodes that hold the same; lag, entries
that others hold and it does not; held, entries that it keeps for others.
"silent" is a node that runs and does not answer. Below: links with a fault.

  --once           print the table once; so it is, too, where no terminal is
  --json           print all of it as JSON, once
  --every SECONDS  how often to look, 1 if not given
END
    link) cat <<'END' ;;
Usage: contrib/testnet link A B [FAULTS]

Show the link of two nodes, or give it faults. What is not named stays as it
is; 0 takes one fault away, and contrib/testnet heal A B all of them.

  --delay TIME       80ms, or 1.5s: how long everything takes
  --jitter TIME      up to so much more, drawn anew for each
  --loss SHARE       2%: of packets; a record stalls for 250 ms, as if TCP had
                     sent it again
  --duplicate SHARE  comes twice
  --reorder SHARE    comes 20 ms later than what follows it
  --flip SHARE       one bit of it is inverted
  --rate BITS        256k, 10M: bits a second; half a second's worth may queue
                     up (at least 16 KiB, at most 256)
  --seed N           draw from this seed from now on
  --one-way          from A to B alone

With processes, this happens to records, as nodes show them to whoever owns a
router on the way: one that is doubled, out of order or flipped breaks the
session, and the nodes make another. In namespaces it happens to IP packets,
and TCP of the kernel mends most of it.
END
    cut) cat <<'END' ;;
Usage: contrib/testnet cut A B [--one-way]

Let nothing pass over the link of two nodes. Neither is told: what one sends
just does not arrive, and connections stand still until the nodes give up.

  --one-way   only from A to B; what B sends arrives
END
    heal) cat <<'END' ;;
Usage: contrib/testnet heal [A B]

Take cuts and faults away, of one link or of all: each link is as the topology
has it. Nodes that are paused or down stay so; see resume and start.
END
    pause) cat <<'END' ;;
Usage: contrib/testnet pause NODE...

Stop nodes as they are (SIGSTOP): their connections stay, and they say nothing.
END
    resume) cat <<'END' ;;
Usage: contrib/testnet resume [NODE...]

Let paused nodes go on; all of them, if none is named.
END
    kill) cat <<'END' ;;
Usage: contrib/testnet kill [--term] NODE...

End nodes without a warning (SIGKILL), whether they run or are paused.

  --term   end them in order instead (SIGTERM), as an operator would
END
    start) cat <<'END' ;;
Usage: contrib/testnet start [NODE...]

Start nodes that are down, or all that are, and wait until they answer.
END
    logs) cat <<'END' ;;
Usage: contrib/testnet logs [--lines N] [--follow] [NODE...]

Show the end of what nodes have logged, of all if none is named.

  --lines N     so many lines of each, 20 if not given
  -f, --follow  go on with what comes
END
    shell) cat <<'END' ;;
Usage: contrib/testnet shell NODE [COMMAND...]

Open a shell, or run a command, in the place of a node: $PARLEY_DIR is its
folder, so that parley asks this node; in the path stands the parley of the
network; and what is run there sees the network as the node does.

    contrib/testnet shell FIN parley send --to SGP --subject Test -
END
    down) cat <<'END' ;;
Usage: contrib/testnet down

End the network, and take away its processes, namespaces or containers, and
files: those that up has recorded, and no other. It also clears up after an up
that was killed.
END
    help) cat <<'END' ;;
Usage: contrib/testnet help [COMMAND]
END
    *) die 2 "there is no command $1; there are $(commands)" ;;
  esac
}
