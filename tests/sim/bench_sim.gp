# Plots of what bench_sim has left in the folder that is given as `dir`: for each size of network and each share of silent members, when how many
# have an entry; as SVG and as PNG. Called by `make bench-sim`.
set key bottom right
set xlabel "ms after it was durable at its author"
set ylabel "share of the nodes that have it"
set yrange [0:1]
set grid
do for [nodes in sizes] {
  do for [silent in "0 30 30-later"] {
    do for [class in "flash tree"] {
      base = sprintf("%s-%s-%s", nodes, silent, class)
      file(what) = sprintf("%s/%s-%s.dat", dir, what, base)
      what = silent eq "30-later" ? "engine-fifth" : "engine"
      set title sprintf("%s nodes, %s, %s", nodes, class eq "flash" ? "FLASH" : "lane 1", \
        silent eq "0" ? "all pass on what they get" : silent eq "30" ? "30 % withhold" : "the first message after 30 % fell silent")
      do for [form in "svg png"] {
        if (form eq "svg") { set terminal svg size 900,560 dynamic background rgb "white" } else { set terminal pngcairo size 900,560 }
        set output sprintf("%s/latency-%s.%s", dir, base, form)
        plot file("flood") using 1:2 with lines lw 2 lc rgb "#888888" title "flooding", \
             file("gossip") using 1:2 with lines lw 2 lc rgb "#cc6677" title "gossipsub-like mesh", \
             file(what) using 1:2 with lines lw 2 lc rgb "#004488" title "Parley"
      }
    }
  }
}
