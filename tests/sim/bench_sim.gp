# Plots of what bench_sim has left in the folder `dir`: for each of `runs` (how many nodes, which share of them silent: "200-0 200-30") when how many
# have an entry, and what a message costs; as SVG and as PNG. Called by bench_sim.sh.
story(silent) = silent eq "0" ? "all pass on what they get" : silent eq "30" ? "30 % withhold" : "the first message after 30 % fell silent"
grey = "#888888"; red = "#cc6677"; blue = "#004488"
set grid
do for [run in runs] {
  nodes = substr(run, 1, strstrt(run, "-") - 1)
  silent = substr(run, strstrt(run, "-") + 1, strlen(run))
  costs = sprintf("%s/costs-%s-each.dat", dir, run)
  do for [form in "svg png"] {
    if (form eq "svg") { set terminal svg size 900,560 dynamic background rgb "white" } else { set terminal pngcairo size 900,560 }
    set key inside bottom right vertical
    set xlabel "ms after it was durable at its author"
    set ylabel "share of the nodes that have it"
    set yrange [0:1]
    do for [class in "flash tree"] {
      file(what) = sprintf("%s/%s-%s-%s.dat", dir, what, run, class)
      what = silent eq "30-later" ? "engine-fifth" : "engine"
      set title sprintf("%s nodes, %s, %s", nodes, class eq "flash" ? "FLASH" : "lane 1", story(silent))
      set output sprintf("%s/latency-%s-%s.%s", dir, run, class, form)
      plot file("flood") using 1:2 with lines lw 2 lc rgb grey title "flooding", \
           file("gossip") using 1:2 with lines lw 2 lc rgb red title "gossipsub-like mesh", \
           file(what) using 1:2 with lines lw 2 lc rgb blue title "Parley"
    }
    set key below horizontal
    unset xlabel
    unset ylabel
    set yrange [0:*]
    set output sprintf("%s/costs-%s.%s", dir, run, form)
    set multiplot layout 1,2 title sprintf("%s nodes, %s: what a message costs, a node", nodes, story(silent))
    set title "copies"
    plot costs using 3:xtic(1) with histograms fill solid lc rgb grey title "flooding", \
         costs using 4 with histograms fill solid lc rgb red title "gossipsub-like mesh", \
         costs using 2 with histograms fill solid lc rgb blue title "Parley"
    set title "control bytes"
    plot costs using 6:xtic(1) with histograms fill solid lc rgb red title "gossipsub-like mesh", \
         costs using 5 with histograms fill solid lc rgb blue title "Parley"
    unset multiplot
  }
}
