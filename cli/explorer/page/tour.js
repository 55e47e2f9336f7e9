/** A guided tour in six steps; a step about codes or noise that the bundle does not have says so. */

import { byId, element } from "./dom.js";

/** `target` is outlined, and `control` is what to try: the panel leaves it free. `missing` stands for the attempt where
 * the page has no such control.
 * @type {{title: string, text: string, attempt: string, target: string, control: string, missing?: string}[]} */
const STEPS = [
  {
    title: "A GAN",
    text: "A generator makes an image from random numbers. While it is trained, a discriminator tries to tell its images from real ones, and the generator learns to be taken for real.",
    attempt: "Press “New noise”: another image from other random numbers.",
    target: ".generated",
    control: "[data-part=new-noise]",
    missing: "This bundle has no noise: the codes alone make the image.",
  },
  {
    title: "Codes",
    text: "InfoGAN sets some of the numbers apart as codes: categories, and styles from −1 to 1. Nobody tells the network what they should mean.",
    attempt: "Press “Random codes” a few times.",
    target: ".codes",
    control: "[data-part=random]",
  },
  {
    title: "The information L_I",
    text: "An encoder infers the codes from the image alone. L_I measures how much of the codes it recovers. Training maximises L_I, so each code has to change something that can be seen.",
    attempt: "Draw something, or open an image: the bars are the encoder's probabilities.",
    target: ".drawing",
    control: "#drop",
  },
  {
    title: "Styles",
    text: "A style changes one property of the image continuously. The framed part of each slider and of the style map is the trained range; beyond it the generator extrapolates and may fail.",
    attempt: "Drag a slider, or the dot on the style map.",
    target: ".map:not([hidden]), [data-part=styles]:not(:empty), .codes",
    control: ".map-square, .track",
    missing: "This bundle has no styles.",
  },
  {
    title: "Categories",
    text: "The same styles and noise with every category show what the network took for kinds of images. Names were given after training.",
    attempt: "Select another category: style and noise stay.",
    target: ".all-categories:not([hidden]), .codes",
    control: ".category-row",
    missing: "This bundle has no categories.",
  },
  {
    title: "Reconstruction",
    text: "From the inferred codes the generator makes the image again. The noise is not inferred, so details differ. A large difference, “low confidence” or “out of distribution” mean that the image is unlike the training images.",
    attempt: "Compare image, reconstruction and difference. Then try an image of something else.",
    target: "[data-part=again]:not([hidden]), .generated",
    control: "[data-part=again]",
  },
];

/** The first element of the page that is shown and matches one of some selectors, in their order.
 * @param {string} selectors */
function firstShown(selectors) {
  const found = selectors.split(",").flatMap((one) => [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`main ${one}`))]);
  return found.find((one) => one.offsetParent);
}

/** Scroll to what a step shows, and move the panel to the side where it is not, or leave room above the panel.
 * @param {HTMLElement} panel @param {HTMLElement} shown */
function makeRoom(panel, shown) {
  const page = document.documentElement;
  const { left, width } = shown.getBoundingClientRect();
  panel.classList.toggle("at-left", left + width / 2 > page.clientWidth / 2);
  page.style.scrollPaddingBottom = panel.offsetWidth > page.clientWidth / 2 ? `${panel.offsetHeight}px` : "";
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  shown.scrollIntoView({ block: "center", behavior: still ? "auto" : "smooth" });
}

export function connectTour() {
  const panel = byId("tour");
  const open = byId("open-tour");
  let step = 0;
  const clear = () => {
    document.querySelectorAll(".tour-target").forEach((one) => one.classList.remove("tour-target"));
    document.documentElement.style.scrollPaddingBottom = "";
  };
  const show = () => {
    const { title, text, attempt, target, control, missing } = STEPS[step];
    const tried = firstShown(control);
    clear();
    const found = firstShown(target) ?? byId("main");
    found.classList.add("tour-target");
    byId("tour-title").textContent = `${step + 1} of ${STEPS.length}: ${title}`;
    byId("tour-text").replaceChildren(text, element("strong", "attempt", tried || !missing ? `Try this: ${attempt}` : missing));
    /** @type {HTMLButtonElement} */ (byId("tour-back")).disabled = step === 0;
    byId("tour-next").textContent = step === STEPS.length - 1 ? "Done" : "Next";
    makeRoom(panel, tried ?? found);
  };
  const close = () => {
    clear();
    panel.hidden = true;
    open.focus();
  };
  open.addEventListener("click", () => {
    step = 0;
    panel.hidden = false;
    show();
    byId("tour-next").focus();
  });
  byId("tour-next").addEventListener("click", () => {
    if (step === STEPS.length - 1) return close();
    step += 1;
    show();
  });
  byId("tour-back").addEventListener("click", () => {
    step = Math.max(0, step - 1);
    show();
  });
  byId("tour-close").addEventListener("click", close);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
}
