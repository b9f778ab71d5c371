"""The charts that follow the slider, written in Vega-Lite and compiled to Vega for the page.

The page's script passes them these named data sets:

- `points`: the stops; `stop`, `gamma`, `s`, `u`, `y` (accuracies in %), `inside` (whether γ is on the charts' axis)
- `marks`: the methods; `label`, `s`, `u`, `kind`, `named` (whether the label is drawn)
- `now`: one row, the slider's stop
- `bins`: the histogram; `gamma`, `x2` (both ends of a bin), `s`, `u` (shares in %)
- `cells`: see `finecal.report.run_view.sample_counts`
- `classes`: `number`, `name`, `group`

and these parameters: `stop`, `zero` (the stop with γ = 0), `order` (class names, those of S first), `ends` (of the γ
axis). Class names are data and never part of an expression.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import vl_convert

from finecal.report import curve_labels

INK, SOFT, LINE = "#1a1a1a", "#595959", "#d9d9d9"
S, U = "#0072b2", "#b04a00"
ALL_WORDS, S_WORDS, U_WORDS = "all classes", "S (fine-tuning)", "U (absent)"  # short enough for one line on a phone
AXIS: dict[str, Any] = {"minExtent": 46, "maxExtent": 46}  # charts below each other have equally wide plots
CONFIG = {
    "aria": False,  # the surrounding element describes the chart and names where its numbers are
    "font": 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": INK, "titleFontWeight": "normal", "labelFontSize": 12, "titleFontSize": 12,
        "domainColor": "#8c8c8c", "tickColor": "#8c8c8c", "gridColor": "#ececec",
    },
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "labelColor": INK, "symbolStrokeWidth": 2.5},
    "header": {"labelFontSize": 12, "labelColor": INK},
    "text": {"fontSize": 12, "color": INK},
}  # fmt: skip


def specifications() -> dict[str, dict[str, Any]]:
    """Return the Vega specification of every chart by its name."""
    made = {"curve": _curve(), "accuracy": _accuracy(), "margins": _margins(), "matrix": _matrix()}
    made |= {f"classes_{group}": _classes(group) for group in ("u", "s")}
    compiled = {}
    for name, chart in made.items():
        spec = vl_convert.vegalite_to_vega(chart.properties(config=CONFIG).to_dict())
        compiled[name] = {key: value for key, value in spec.items() if key != "$schema"}  # a web address
    return compiled


def _percent(field: str, title: str, **options: Any) -> dict[str, Any]:
    scale = {"domain": [0, 100], "nice": False}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, **options}


def _curve() -> Any:
    """Draw acc_u_y over acc_s_y, with the marks of the methods and a ring at the slider's stop."""
    x = alt.X(**_percent("s", "right of the fine-tuning classes S (%)"))
    y = alt.Y(**_percent("u", "right of the absent classes U (%)"))
    pick = alt.selection_point(name="pick", fields=["stop"], nearest=True, on="click", empty=False, clear=False)
    tip = [
        alt.Tooltip("gamma_text:N", title="γ"), alt.Tooltip("s:Q", title="S (%)", format=".1f"),
        alt.Tooltip("u:Q", title="U (%)", format=".1f"), alt.Tooltip("y:Q", title="all (%)", format=".1f"),
    ]  # fmt: skip
    points = alt.Chart(alt.NamedData("points"))
    line = points.mark_line(color=INK, strokeWidth=2).encode(x, y, order="stop:Q")
    targets = points.mark_point(opacity=0, size=60).encode(x, y, tooltip=tip).add_params(pick)
    now = alt.Chart(alt.NamedData("now"))
    down = now.mark_rule(color=S, strokeWidth=1.5).encode(x=x)
    across = now.mark_rule(color=U, strokeDash=[5, 3], strokeWidth=1.5).encode(y=y)
    ring = now.mark_point(size=240, filled=False, stroke=INK, strokeWidth=3, opacity=1).encode(x, y)
    marks = alt.Chart(alt.NamedData("marks"))
    kinds = ["fine_tuned", "calibrated", "bound", "pretrained", "oracle_fine_tuning", "off"]
    shapes = ["circle", "square", "diamond", "triangle-down", "triangle-up", "cross"]
    colour = alt.Scale(domain=kinds, range=[INK, "#00704f", "#8a5f00", SOFT, "#8a5f00", "#9c4a78"])
    marked = marks.mark_point(size=70, filled=True, opacity=1, stroke="white", strokeWidth=0.7).encode(
        x, y,
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=shapes), legend=None),
        color=alt.Color("kind:N", scale=colour, legend=None),
        tooltip=[alt.Tooltip("label:N", title="method"), *tip[1:]],
    )  # fmt: skip
    words = curve_labels.layers(marks, x, y, alt.Color("kind:N", scale=colour, legend=None))
    chart = alt.layer(line, down, across, marked, *words, ring, targets)
    return chart.properties(width="container", height=360)


def _gamma(*, title: bool) -> alt.X:
    """Return the γ axis of the accuracies and of the histogram."""
    ends = {"expr": "ends"}
    return alt.X(
        "gamma:Q", title="γ, added to the logits of the absent classes" if title else None,
        scale=alt.Scale(domain=ends, nice=False, zero=False),
    )  # fmt: skip


def _ends() -> alt.Parameter:
    return alt.param(name="ends", value=[-1, 1])


def _accuracy() -> Any:
    """Draw the three accuracies over γ."""
    words, dashes = [ALL_WORDS, S_WORDS, U_WORDS], [[1, 0], [8, 3], [3, 3]]
    lines = (
        alt.Chart(alt.NamedData("points"))
        .transform_filter("datum.inside")
        .transform_fold(["y", "s", "u"], as_=["of", "accuracy"])
        .transform_calculate(who=f"datum.of == 'y' ? '{ALL_WORDS}' : datum.of == 's' ? '{S_WORDS}' : '{U_WORDS}'")
        .mark_line(interpolate="step", strokeWidth=2, clip=True)
        .encode(
            _gamma(title=False), alt.Y(**_percent("accuracy", "right (%)", axis=AXIS)),
            color=alt.Color("who:N", title=None, scale=alt.Scale(domain=words, range=[INK, S, U]),
                            legend=alt.Legend(orient="top", symbolSize=280, labelFontSize=11, columnPadding=5)),
            strokeDash=alt.StrokeDash("who:N", title=None, scale=alt.Scale(domain=words, range=dashes)),
        )
    )  # fmt: skip
    chart = alt.layer(lines, _threshold()).add_params(_ends())
    return chart.properties(width="container", height=150)


def _threshold() -> Any:
    return alt.Chart(alt.NamedData("now")).mark_rule(color=INK, strokeWidth=3).encode(x=alt.X("drawn:Q"))


def _margins() -> Any:
    """Draw the histogram of the margins, S upwards and U downwards, with γ as the threshold between them."""
    bins = alt.Chart(alt.NamedData("bins"))
    x = _gamma(title=True)
    tip = [
        alt.Tooltip("gamma:Q", title="from", format=".2f"), alt.Tooltip("x2:Q", title="to", format=".2f"),
        alt.Tooltip("n_s:Q", title="samples of S"), alt.Tooltip("n_u:Q", title="samples of U"),
    ]  # fmt: skip
    axis = alt.Axis(labelExpr="format(abs(datum.value), ',')", tickCount=5, **AXIS)
    layers = [
        bins.mark_bar(color=colour, binSpacing=0, stroke="white", strokeWidth=0.5).encode(
            x, x2="x2:Q", y=alt.Y(f"{field}:Q", title="U below, S above (%)", axis=axis), y2=alt.datum(0), tooltip=tip
        )
        for field, colour in (("s", S), ("u", U))
    ]
    halves: Any = alt.Chart(alt.NamedData("now")).transform_calculate(left="'predicted in U'", right="'predicted in S'")
    sides: list[Any] = [
        halves.mark_text(align=align, dx=dx, baseline="top", color=SOFT, fontStyle="italic").encode(
            x=alt.X("drawn:Q"), y=alt.value(0), text=f"{field}:N"
        )
        for field, align, dx in (("left", "right", -7), ("right", "left", 7))
    ]
    chart = alt.layer(*layers, _threshold(), *sides).add_params(_ends())
    return chart.properties(width="container", height=160)


def _cells() -> Any:
    """Return the samples with the class that is predicted at the slider's stop."""
    now = "datum.stop > stop ? datum.s : datum.u"
    return alt.Chart(alt.NamedData("cells")).transform_calculate(predicted=now)


def _parameters() -> list[alt.Parameter]:
    return [alt.param(name="stop", value=0), alt.param(name="zero", value=0), alt.param(name="order", value=[])]


def _classes(group: str) -> Any:
    """Draw the accuracy of every class of a group: pretrained, fine-tuned, with the slider's γ."""
    names = alt.LookupData(alt.NamedData("classes"), key="number", fields=["name", "group"])
    per_class = (
        _cells()
        .transform_calculate(
            before_right="datum.before == datum.label ? datum.n : 0",
            after_right="(datum.stop > zero ? datum.s : datum.u) == datum.label ? datum.n : 0",
            now_right="datum.predicted == datum.label ? datum.n : 0",
            known="datum.before < 0 ? 0 : datum.n",
        )
        .transform_aggregate(
            before="sum(before_right)", after="sum(after_right)", now="sum(now_right)", known="sum(known)", n="sum(n)",
            groupby=["label"],
        )
        .transform_lookup("label", names)
        .transform_filter(f"datum.group == '{group}'")
        .transform_calculate(
            pretrained="datum.known ? 100 * datum.before / datum.known : null",
            tuned="100 * datum.after / datum.n", moved="100 * datum.now / datum.n",
        )
    )  # fmt: skip
    y = alt.Y(
        "name:N", title=None, sort=alt.EncodingSortField("label", op="min"),
        axis=alt.Axis(labelLimit=110, labelFontSize=12, grid=True, minExtent=70),
    )  # fmt: skip
    stem = per_class.mark_rule(color="#8c8c8c", strokeWidth=2).encode(
        y=y, x=alt.X(**_percent("tuned", "right (%)")), x2="moved:Q"
    )
    words = ["pretrained", "fine-tuned", "with this γ"]
    looks = {"shape": ["triangle-down", "circle", "diamond"], "color": [SOFT, INK, "#00704f"]}
    titles = {"pretrained": words[0], "tuned": words[1], "moved": words[2]}
    which = " : ".join(f"datum.which == '{field}' ? '{word}'" for field, word in list(titles.items())[:2])
    points = (
        per_class.transform_fold(list(titles), as_=["which", "accuracy"])
        .transform_filter("isValid(datum.accuracy)")
        .transform_calculate(method=f"{which} : '{words[2]}'")
        .mark_point(filled=True, opacity=1, size=75)
        .encode(
            y=y, x=alt.X(**_percent("accuracy", "right (%)")),
            shape=alt.Shape("method:N", title=None, scale=alt.Scale(domain=words, range=looks["shape"]),
                            legend=alt.Legend(orient="top")),
            color=alt.Color("method:N", title=None, scale=alt.Scale(domain=words, range=looks["color"])),
            tooltip=[alt.Tooltip("name:N", title="class"), alt.Tooltip("method:N"),
                     alt.Tooltip("accuracy:Q", title="right (%)", format=".1f"),
                     alt.Tooltip("n:Q", title="test samples")],
        )
    )  # fmt: skip
    chart = alt.layer(stem, points).add_params(*_parameters())
    return chart.properties(
        width="container", height=alt.Step(20), autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )


def _matrix() -> Any:
    """Draw the confusion matrix at the slider's stop, rows and columns ordered S, then U."""
    names = [
        alt.LookupData(alt.NamedData("classes"), key="number", fields=["name", "group"]),
        alt.LookupData(alt.NamedData("classes"), key="number", fields=["name"]),
    ]
    cells = (
        _cells()
        .transform_aggregate(n="sum(n)", groupby=["label", "predicted"])
        .transform_joinaggregate(of="sum(n)", groupby=["label"])
        .transform_lookup("label", names[0], as_=["true_name", "group"])
        .transform_lookup("predicted", names[1], as_=["predicted_name"])
        .transform_calculate(share="100 * datum.n / datum.of", right="datum.label == datum.predicted")
    )
    domain = alt.Scale(domain={"expr": "order"}, paddingInner=0.06)
    # Long names are cut off; the tooltips have them whole.
    axis: dict[str, Any] = {"labelLimit": 90, "labelFontSize": 11, "ticks": False, "domain": False, "grid": False}
    x = alt.X("predicted_name:N", title="predicted", scale=domain,
              axis=alt.Axis(orient="top", labelAngle=-60, **axis))  # fmt: skip
    y = alt.Y("true_name:N", title="true class", scale=domain, axis=alt.Axis(**axis))
    tip = [
        alt.Tooltip("true_name:N", title="true class"), alt.Tooltip("predicted_name:N", title="predicted"),
        alt.Tooltip("n:Q", title="test samples"), alt.Tooltip("share:Q", title="% of the true class", format=".1f"),
    ]  # fmt: skip
    shade = alt.Scale(domain=[0, 100], range=["#f3f6f8", "#08335c"])
    # Write in black or white, whichever has the higher contrast: on any colour that is 4.5 or more.
    contrast = [f"contrast('{colour}', scale('color', datum.share))" for colour in ("#ffffff", "#000000")]
    boxes = cells.mark_rect().encode(x, y, color=alt.Color("share:Q", scale=shade, legend=None), tooltip=tip)
    written = alt.condition(" > ".join(contrast), alt.value("#ffffff"), alt.value("#000000"))
    counts = cells.mark_text(fontSize=11).encode(x, y, text="n:Q", color=written, tooltip=tip)
    chart = alt.layer(boxes, counts).add_params(*_parameters())
    return chart.properties(width=alt.Step(26), height=alt.Step(26))
