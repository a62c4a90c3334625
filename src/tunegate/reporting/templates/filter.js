"use strict";
(() => {
  const form = document.getElementById("filters");
  const status = document.getElementById("f-count");
  const fields = [...form.querySelectorAll("[data-filter]")];
  const cards = [...document.querySelectorAll(".example")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const texts = cards.map((card) => card.textContent.toLowerCase());
  const wanted = () => Object.fromEntries(fields.map((field) => [field.dataset.filter, field.value]));
  const fits = (card, number, values) =>
    Object.entries(values).every(([name, value]) => {
      if (!value) return true;
      if (name === "text") return texts[number].includes(value.trim().toLowerCase());
      return card.dataset[name] === value;
    });
  const apply = (asked) => {
    const values = wanted();
    let shown = 0;
    cards.forEach((card, number) => {
      card.hidden = !fits(card, number, values);
      if (!card.hidden) shown += 1;
    });
    const filtered = Object.values(values).some(Boolean);
    groups.forEach((group) => {
      const found = group.querySelectorAll(".example:not([hidden])").length;
      group.hidden = filtered && !found;
      if (!asked || !filtered || !found) return;
      group.open = true;
      group.querySelectorAll(".more").forEach((more) => {
        more.open = Boolean(more.querySelector(".example:not([hidden])"));
      });
    });
    status.textContent = filtered ? `${shown} of ${cards.length} examples` : `${cards.length} examples`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => apply(true));
  form.hidden = false;
  apply(false);
})();
