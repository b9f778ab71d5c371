"use strict";
// The slider, and tables that sort and filter. The charts are specified in charts.py: this script passes them the rows
// of the chosen run and the number of the stop, and writes the numbers. All text is inserted as text, never as HTML.
(() => {
  // Rounds half to even, as Python does, so that numbers equal those in the tables.
  const ROUNDED = new Intl.NumberFormat("en", {
    minimumFractionDigits: 1, maximumFractionDigits: 1, roundingMode: "halfEven", useGrouping: false });
  const PERCENT = (value) => value === null || Number.isNaN(value) ? "–" : ROUNDED.format(100 * value);
  const SIGNED = (value) => (value > 0 ? "+" : "") + PERCENT(value).replace(/^-0\.0$/, "0.0").replace("-", "−");
  const DIMENSIONS = ["Data set", "Task", "Model", "Recipe", "Split", "Seed"];

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== null) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const gammaText = (run, stop) => {
    if (stop === 0) return "−∞";
    if (stop === run.gamma.length - 1) return "+∞";
    return run.gamma[stop].toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");
  };
  // The accuracies of S, of U and of all classes at a stop; the last needs test samples of both groups.
  const perSample = (run, stop) => {
    const [s, u] = [run.s[stop], run.u[stop]], [ofS, ofU] = run.n;
    return { s: s / ofS, u: u / ofU, y: ofS && ofU ? (s + u) / (ofS + ofU) : NaN };
  };
  // The same averaged per class. What is computed from the page's rounded numbers is rounded once more.
  const rounded = (value) => Math.round(1e8 * value) / 1e8;
  const perClass = ({ macro }, stop) => {
    const [ofS, ofU] = macro.n, s = ofS ? macro.s[stop] / 1e9 : NaN, u = ofU ? macro.u[stop] / 1e9 : NaN;
    return { s, u, y: rounded((ofS * s + ofU * u) / (ofS + ofU)) };
  };

  class Explorer {
    constructor(root, data) {
      // Class names are stored once for each data set; each split lists which of them are in S.
      data.classes = data.classes.map(({ names, s }) => {
        const [named, members] = [data.names[names], new Set(s)];
        return { names: named, s: named.map((_, number) => members.has(number)) };
      });
      Object.assign(this, { root, data, views: null, run: null, stop: 0, macro: false });
      this.slider = this.find("slider");
      this.slider.addEventListener("input", () => this.move(Number(this.slider.value)));
      this.choices = DIMENSIONS.map((title, dimension) => this.choice(title, dimension));
      for (const one of root.querySelectorAll("[name=average]")) {
        one.checked = one.value === "sample"; // also where the browser remembers another choice
        one.addEventListener("change", () => this.average(one.value));
      }
      this.average("sample");
      this.choose(data.runs[0].where, 0);
    }

    // Average per "sample" or per "class": all accuracies but those of single classes.
    average(kind) {
      this.macro = kind === "class";
      for (const part of this.root.querySelectorAll("[data-average]")) part.hidden = part.dataset.average !== kind;
      if (!this.run) return;
      this.listOthers();
      this.draw();
      this.move(this.stop);
    }

    at(stop) { return (this.macro ? perClass : perSample)(this.run, stop); }

    // Accuracies of another model, or of a method off the curve.
    of(other) { return this.macro ? other.macro : other; }

    find(part) { return this.root.querySelector(`[data-part="${part}"]`); }

    choice(title, dimension) {
      const values = [...new Set(this.data.runs.map((run) => run.where[dimension]))];
      const select = element("select", null);
      for (const value of values) select.append(element("option", value.replace("-", dimension === 1 ? " → " : "-"), { value }));
      select.addEventListener("change", () => this.choose(this.choices.map((one) => one.value), dimension));
      const label = element("label", `${title} `);
      label.append(select);
      label.hidden = values.length < 2;
      this.find("choices").append(label);
      return select;
    }

    // Show the run with these coordinates, else a run with the coordinate just chosen and most of the others.
    choose(where, dimension) {
      const score = (run) => run.where.reduce((sum, value, i) => sum + (value === where[i]) * (i === dimension ? 10 : 1), 0);
      const run = this.data.runs.reduce((best, one) => score(one) > score(best) ? one : best);
      this.choices.forEach((select, i) => { select.value = run.where[i]; });
      const mark = this.run && this.run.marks.find((one) => one.stop === this.stop);
      const wanted = [mark && mark.name, run.start, "none"].map((name) => run.marks.find((one) => one.name === name));
      this.run = run;
      this.zero = run.marks.find((one) => one.name === "none").stop;
      this.slider.max = run.gamma.length - 1;
      this.listMarks();
      this.listOthers();
      this.listSources();
      this.listClasses();
      this.listExamples();
      this.stop = wanted.find(Boolean).stop;
      this.draw();
      this.move(this.stop);
    }

    listMarks() {
      const places = this.run.marks.map((mark) => {
        const words = `${mark.label}${mark.bound ? " †" : ""} (${gammaText(this.run, mark.stop)})`;
        const button = element("button", words, { type: "button", "data-stop": mark.stop, "data-mark": mark.name });
        button.addEventListener("click", () => this.move(mark.stop));
        return button;
      });
      this.find("marks").replaceChildren(...places);
    }

    // List the methods that are not on the curve.
    listOthers() {
      const words = this.run.others.map((one) => [one, this.of(one)]).map(([one, { s, u, y }]) =>
        `${one.label}${one.bound ? " †" : ""}: right ${PERCENT(y)} % of all, ${PERCENT(s)} % of S, ${PERCENT(u)} % of U`);
      this.find("others").replaceChildren(...words.map((text) => element("li", text)));
      this.find("others").parentElement.hidden = !words.length;
    }

    listSources() {
      if (this.run.folder === ".") { // from `finecal diagnose`: the files are linked above, and no target makes them
        this.find("sources").closest("p").hidden = true;
        return;
      }
      const encoded = this.run.folder.split("/").map(encodeURIComponent).join("/");
      const links = ["samples", "curve", "metrics", "calibration"].flatMap((name) =>
        [element("a", `${name}.parquet`, { href: `${encoded}/${name}.parquet` }), " "]);
      const quoted = /^[\w@%+=:,./-]+$/.test(this.run.folder) ? this.run.folder : `'${this.run.folder.replaceAll("'", "'\"'\"'")}'`;
      const path = quoted.startsWith("'") ? `'results/${quoted.slice(1, -1)}/metrics.parquet'` : `results/${quoted}/metrics.parquet`;
      this.find("sources").replaceChildren(...links, element("code", `snakemake ${path}`));
    }

    // Compute the charts' data sets from this run.
    draw() {
      const { run, data, zero } = this, { names, s } = data.classes[run.classes];
      const low = run.bins.low, high = low + run.bins.step * run.bins.s.length;
      const points = run.gamma.map((gamma, stop) => {
        const { s, u, y } = this.at(stop);
        const inside = gamma !== null && gamma >= low && gamma <= high;
        return { stop, gamma, gamma_text: gammaText(run, stop), s: 100 * s, u: 100 * u, y: 100 * y, inside };
      });
      const bins = run.bins.s.map((n_s, i) => ({
        gamma: low + i * run.bins.step, x2: low + (i + 1) * run.bins.step, n_s, n_u: run.bins.u[i],
        s: 100 * n_s / (run.n[0] || 1), u: -100 * run.bins.u[i] / (run.n[1] || 1),
      }));
      const classes = names.map((name, number) => ({ number, name, group: s[number] ? "s" : "u" }));
      const order = [...classes].sort((a, b) => (a.group > b.group) - (a.group < b.group) || a.number - b.number);
      const cells = run.cells ? run.cells.label.map((_, i) => Object.fromEntries(
        Object.entries(run.cells).map(([name, values]) => [name, values[i]]))) : [];
      this.points = points;
      for (const part of this.root.querySelectorAll("[data-needs=cells]")) part.hidden = !run.cells;
      for (const part of this.root.querySelectorAll("[data-lacks=cells]")) part.hidden = Boolean(run.cells);
      this.fill({ points, marks: this.marks(points), bins, classes, cells, now: [this.now()] },
        { ends: [low, high], zero, stop: this.stop, order: order.map((one) => one.name) });
    }

    // The marks of the methods. Where labels would overlap, the better known method keeps its label.
    marks(points) {
      const { run } = this, known = ["none", "alg", "pcv", "oracle"], placed = [];
      const rank = (mark) => mark.kind === "pretrained" || mark.kind === "oracle_fine_tuning" ? -1 : (known.indexOf(mark.name) + 10) % 10;
      const marks = [
        ...run.marks.map((mark) => ({
          ...points[mark.stop], label: mark.label, name: mark.name,
          kind: mark.name === "none" ? "fine_tuned" : mark.bound ? "bound" : "calibrated",
        })),
        ...run.others.map((one) => [one, this.of(one)]).filter(([, { s, u }]) => s !== null && u !== null).map(([one, { s, u, y }]) => ({
          label: one.label, name: "", kind: one.kind === "calibrated" ? "off" : one.kind, s: 100 * s, u: 100 * u, y: 100 * y,
        })),
      ];
      for (const mark of [...marks].sort((a, b) => rank(a) - rank(b))) {
        mark.named = mark.kind !== "off" && placed.every((one) => Math.abs(one.u - mark.u) > 5 || Math.abs(one.s - mark.s) > 35);
        if (mark.named) placed.push(mark);
      }
      return marks;
    }

    // Make the charts at the first call, replace their rows at later ones.
    async fill(rows, parameters) {
      this.latest = { rows, parameters };
      if (!this.views) {
        if (this.embedding) return;
        this.embedding = true;
        const views = {};
        await Promise.all(Object.entries(this.data.charts).map(async ([name, spec]) => {
          views[name] = await this.embed(name, spec, rows, parameters);
        }));
        this.views = views;
        views.curve.addSignalListener("pick", (_, chosen) => { if (chosen.stop) this.move(chosen.stop[0]); });
        if (this.latest.rows === rows) return this.follow();
        ({ rows, parameters } = this.latest); // another run was chosen meanwhile
      }
      for (const [name, view] of Object.entries(this.views)) {
        const { data, signals } = this.data.charts[name];
        for (const { name: set } of data) if (set in rows) view.data(set, structuredClone(rows[set]));
        for (const { name: signal } of signals) if (signal in parameters) view.signal(signal, parameters[signal]);
        view.resize();
      }
      this.follow();
    }

    async embed(name, spec, rows, parameters) {
      const own = structuredClone(spec);
      for (const set of own.data) if (set.name in rows) set.values = structuredClone(rows[set.name]);
      for (const signal of own.signals) if (signal.name in parameters) signal.value = parameters[signal.name];
      const box = this.root.querySelector(`[data-chart="${name}"]`);
      const options = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false }; // SVG prints sharply
      return (await vegaEmbed(box, own, options)).view;
    }

    now() {
      const point = this.points[this.stop], { low, step, s } = this.run.bins;
      const gamma = point.gamma === null ? (this.stop === 0 ? low : low + step * s.length) : point.gamma;
      return { ...point, drawn: Math.min(Math.max(gamma, low), low + step * s.length) };
    }

    move(stop) {
      this.stop = stop;
      this.slider.value = stop;
      this.write();
      this.follow();
    }

    // Draw the charts again at the current stop, one drawing at a time; stops passed meanwhile are skipped.
    async follow() {
      this.drawn = false;
      if (this.following || !this.views) return;
      this.following = true;
      while (!this.drawn) {
        this.drawn = true;
        await new Promise(requestAnimationFrame);
        await this.update();
      }
      this.following = false;
      this.root.dataset.drawn = `${this.run.folder} ${this.stop} ${this.macro ? "class" : "sample"}`; // what the charts show
    }

    // Update the quick charts first; those of the classes, which may be many, once the slider rests.
    async update() {
      const { curve, accuracy, margins, ...slow } = this.views, { stop } = this;
      await Promise.all([curve, accuracy, margins].map((view) => view.data("now", [this.now()]).runAsync()));
      const many = this.run.cells && this.run.cells.n.length > 5000;
      await new Promise(many ? (done) => setTimeout(done, 200) : requestAnimationFrame);
      if (!this.drawn) return;
      for (const view of Object.values(slow)) await view.signal("stop", stop).runAsync();
    }

    write() {
      const { run, stop } = this, here = this.at(stop), plain = this.at(this.zero), gamma = gammaText(run, stop);
      const pretrained = run.others.find((one) => one.kind === "pretrained"), before = pretrained && this.of(pretrained);
      const [ofS, ofU] = this.macro ? run.macro.n : run.n, area = run.ausuc[Number(this.macro)];
      this.find("ausuc").textContent = area === null ? "–" : area.toFixed(3);
      for (const part of ["y", "s", "u"]) {
        const cell = (column, text) => { this.find(`${column}-${part}`).textContent = text; };
        cell("before", before ? PERCENT(before[part]) : "–");
        cell("plain", PERCENT(plain[part]));
        cell("here", PERCENT(here[part]));
        cell("change", SIGNED(this.macro ? rounded(here[part] - plain[part]) : here[part] - plain[part]));
        cell("n", { y: ofS + ofU, s: ofS, u: ofU }[part].toLocaleString("en"));
      }
      const inS = { s: run.sInS[stop], u: run.uInS[stop] }, right = { s: run.s[stop], u: run.u[stop] };
      ["s", "u"].forEach((group, i) => {
        const n = run.n[i];
        for (const [side, count] of [["s", inS[group]], ["u", n - inS[group]]]) {
          const cell = this.find(`${group}-in-${side}`), lines = [`${count.toLocaleString("en")} (${PERCENT(count / n)} %)`];
          if (side === group) lines.push(`of them right: ${right[group].toLocaleString("en")}`);
          cell.replaceChildren(element("b", lines[0]), ...lines.slice(1).map((line) => element("span", line)));
          cell.style.setProperty("--share", n ? count / n : 0);
        }
      });
      const mark = run.marks.find((one) => one.stop === stop), name = mark ? ` (${mark.label})` : "";
      const words = `γ = ${gamma}${name}: ${this.macro ? "per class, " : ""}right ${PERCENT(here.y)} % of all, `
        + `${PERCENT(here.s)} % of S, ${PERCENT(here.u)} % of U`;
      this.find("gamma").textContent = words;
      this.slider.setAttribute("aria-valuetext", words);
      for (const button of this.find("marks").children) {
        button.setAttribute("aria-pressed", String(Number(button.dataset.stop) === stop));
      }
      this.writeClasses();
      this.judgeExamples();
    }

    // One row for each class that has test samples, those of U first.
    listClasses() {
      const { run, zero } = this, { names, s } = this.data.classes[run.classes], found = run.cells;
      const sums = names.map(() => ({ n: 0, known: 0, before: 0, plain: 0 }));
      (found ? found.label : []).forEach((label, i) => {
        const sum = sums[label], n = found.n[i];
        sum.n += n;
        if (found.before[i] >= 0) sum.known += n;
        if (found.before[i] === label) sum.before += n;
        if ((found.stop[i] > zero ? found.s[i] : found.u[i]) === label) sum.plain += n;
      });
      const order = [...sums.keys()].filter((number) => sums[number].n).sort((a, b) => s[a] - s[b] || a - b);
      this.classRows = order.map((number) => {
        const { n, known, before, plain } = sums[number], row = element("tr", null);
        const texts = [s[number] ? "S" : "U", n.toLocaleString("en"), PERCENT(known ? before / known : NaN), PERCENT(plain / n)];
        const [here, change] = ["", ""].map((text) => element("td", text, { class: "number" }));
        row.append(element("th", names[number], { scope: "row" }),
          ...texts.map((text, i) => element("td", text, i ? { class: "number" } : {})), here, change);
        return { number, n, plain, row, here, change };
      });
      this.find("classes").replaceChildren(...this.classRows.map((one) => one.row));
    }

    writeClasses() {
      const { run: { cells }, stop } = this, right = new Map();
      (cells ? cells.label : []).forEach((label, i) => {
        if ((cells.stop[i] > stop ? cells.s[i] : cells.u[i]) === label) right.set(label, (right.get(label) || 0) + cells.n[i]);
      });
      for (const { number, n, plain, here, change } of this.classRows) {
        const now = right.get(number) || 0;
        here.textContent = PERCENT(now / n);
        change.textContent = SIGNED((now - plain) / n);
      }
      const { sortAgain } = this.find("classes").closest("table");
      if (sortAgain) sortAgain();
    }

    listExamples() {
      const { run, data } = this, found = run.examples, { names, s } = data.classes[run.classes];
      this.pictures = [];
      for (const group of ["u", "s"]) {
        const blocks = new Map();
        (found ? found.label : []).forEach((label, i) => {
          if (s[label] !== (group === "s")) return;
          if (!blocks.has(label)) {
            const block = element("div", null, { class: "examples-class" }), heading = element("h5", `${names[label]} `);
            heading.append(element("span", "", { class: "soft" }));
            const row = element("div", null, { class: "thumbs" });
            block.append(heading, row);
            blocks.set(label, { block, row, count: heading.lastChild, pictures: [] });
          }
          const box = element("figure", null), image = element("img", null, { src: data.pictures[found.picture[i]], width: 56 });
          const lines = ["before", "tuned", "now"].map((name) => element("span", "", { class: name }));
          box.append(image, ...lines);
          const picture = { i, box, image, lines, name: names[label] };
          blocks.get(label).row.append(box);
          blocks.get(label).pictures.push(picture);
        });
        if (!this.find(`examples-${group}`)) continue; // a page without pictures
        this.find(`examples-${group}`).replaceChildren(...[...blocks.values()].map((one) => one.block));
        this.pictures.push(...blocks.values());
      }
      for (const part of this.root.querySelectorAll("[data-needs=examples]")) part.hidden = !found;
    }

    judgeExamples() {
      const { run, stop, zero } = this, found = run.examples, { names } = this.data.classes[run.classes];
      for (const { pictures, count } of this.pictures) {
        let right = 0;
        for (const { i, box, image, lines, name } of pictures) {
          const at = (place) => place < found.stop[i] ? found.s[i] : found.u[i];
          const said = [found.before[i], at(zero), at(stop)];
          const verdicts = said.map((one) => one === found.label[i]);
          lines.forEach((line, k) => {
            line.textContent = said[k] < 0 ? "–" : `${verdicts[k] ? "✓" : "✗"} ${names[said[k]]}`;
            line.title = ["pretrained", "fine-tuned", "with this γ"][k] + ": " + (names[said[k]] || "unknown");
            line.classList.toggle("right", verdicts[k]);
          });
          box.classList.toggle("right", verdicts[2]);
          image.alt = `${name}: pretrained ${names[said[0]] || "unknown"}, fine-tuned ${names[said[1]]}, with this γ ${names[said[2]]}`;
          right += verdicts[2];
        }
        count.textContent = `(${right} of ${pictures.length} right)`;
      }
    }
  }

  // Tables: a click on a heading sorts the rows of every group; check boxes filter methods by what they read.
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim().replaceAll("−", "-").replaceAll(",", "");
    const number = Number.parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    const [one, other] = [typeof a === "number", typeof b === "number"];
    if (one !== other) return one ? -1 : 1; // numbers before words and dashes, whatever the direction
    return one ? a - b : a.localeCompare(b);
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("number") && !/^rank$|^wall|time/i.test(button.textContent) ? "descending" : "ascending";
        const other = { ascending: "descending", descending: "ascending" };
        const direction = head.hasAttribute("aria-sort") ? other[head.getAttribute("aria-sort")] : first;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", direction);
        const sign = direction === "ascending" ? 1 : -1;
        table.sortAgain = () => { // called again when the numbers change
          for (const body of table.tBodies) {
            const rows = [...body.rows].filter((row) => row.cells.length === heads.length);
            const keyed = rows.map((row) => [key(row, column), row]);
            keyed.sort(([one], [two]) => typeof one === typeof two ? sign * compare(one, two) : compare(one, two));
            if (keyed.some(([, row], place) => row !== rows[place])) body.append(...keyed.map(([, row]) => row));
          }
        };
        table.sortAgain();
      });
    });
  };
  const filterable = (form) => {
    const rows = [...document.getElementById(form.dataset.filters).querySelectorAll("[data-reads]")];
    const show = () => {
      const allowed = new Set([...form.querySelectorAll("input:checked")].map((box) => box.value));
      const kept = rows.filter((row) => { row.hidden = !JSON.parse(row.dataset.reads).every((one) => allowed.has(one)); return !row.hidden; });
      form.querySelector("output").textContent = `${kept.length} of ${rows.length} rows`;
    };
    form.addEventListener("change", show);
    show();
  };

  // On paper everything is open; the style does it too, where the browser can.
  window.addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; one.dataset.printed = ""; }
  });
  window.addEventListener("afterprint", () => {
    for (const one of document.querySelectorAll("details[data-printed]")) { one.open = false; delete one.dataset.printed; }
  });

  for (const table of document.querySelectorAll("table.sortable")) sortable(table);
  for (const form of document.querySelectorAll("[data-filters]")) filterable(form);
  for (const root of document.querySelectorAll("[data-explorer]")) {
    new Explorer(root, JSON.parse(document.getElementById(root.dataset.explorer).textContent));
  }
})();
