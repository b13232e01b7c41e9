function (kit) {
  "use strict";
  const { data, find } = kit, said = find("said"), turned = kit.root.querySelectorAll("[data-turn]"), lines = kit.root.querySelectorAll("[data-wall]");
  function show(place) {  // arrows turn with c; colour and width of the walls on the left follow the charge
    const charges = data.charges[place], number = (value) => (value > 0 ? "+" : "") + kit.fixed(value, 2);
    turned.forEach((arrow) => arrow.setAttribute("transform", "rotate(" + (data.degrees[place] + +arrow.dataset.turn) + ")"));
    lines.forEach((line) => {
      const value = charges[+line.dataset.wall];
      line.style.stroke = Math.abs(value) < data.neutral ? "var(--quiet)" : value > 0 ? "var(--hh)" : "var(--tt)";
      line.style.strokeWidth = 1.5 + 4 * Math.abs(value);
    });
    const sum = (first) => number(charges[first] + charges[first + 2] + charges[first + 4]);
    said.textContent = "Charge of walls 0 to 5 in 2P: " + charges.map(number).join(", ") + ". Walls 0, 2, 4 add up to " + sum(0) + ", walls 1, 3, 5 to " + sum(1) + ".";
  }
  kit.slider(find("c"), (place) => data.degrees[place] + "°", show);
  kit.show();
  show(+find("c").value);
}
