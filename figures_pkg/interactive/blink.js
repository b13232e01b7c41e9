function (kit) {
  "use strict";
  const { data, find } = kit, both = find("both"), [under, over] = both.querySelectorAll("figure"), mix = find("mix");
  const words = (share) => share === 0 ? data.titles[0] : share === 100 ? data.titles[1] : share + " % " + data.titles[1];
  let share = 0;

  function show(to) {
    share = to;
    over.querySelector("img").style.opacity = share / 100;
    under.querySelector("figcaption").style.visibility = share < 50 ? "visible" : "hidden";
    over.querySelector("figcaption").style.visibility = share < 50 ? "hidden" : "visible";
    under.querySelector("img").setAttribute("aria-hidden", String(share >= 50));  // one of them is read out
    over.querySelector("img").setAttribute("aria-hidden", String(share < 50));
    mix.value = share;
    say();
  }
  const say = kit.slider(mix, () => words(share), show);
  function change() {
    show(share < 50 ? 100 : 0);
    find("said").textContent = words(share) + " is shown";
  }
  kit.button("blink", find("buttons"), change);
  both.addEventListener("click", change);
  both.classList.add("blink-stacked");
  kit.show();
  show(0);
}
