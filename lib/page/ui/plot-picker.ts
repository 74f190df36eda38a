// Choosing a range of time on a drawing: by dragging with a mouse, a pen or a finger; a double click or
// tap goes back. A drag of a few pixels is a click, and a finger that moves up or down scrolls the page.
import type uPlot from "uplot";

/** Pixels that a drag has at least. */
const LEAST = 8;
const DOUBLE_MS = 350;

/** Listens on a drawing; both ends are seconds since 1970, the smaller one first. */
export function createPicker(
  chart: uPlot,
  picked: (from: number, to: number) => void,
  back?: () => void,
): void {
  const { over } = chart;
  over.classList.add("pick");
  let start: number | undefined;
  let tapped = 0;

  const placeOf = (event: PointerEvent): number => {
    const { left, width } = over.getBoundingClientRect();
    return Math.max(0, Math.min(width, event.clientX - left));
  };
  const show = (from: number, to: number): void =>
    chart.setSelect({ left: from, width: to - from, top: 0, height: over.clientHeight }, false);
  const end = (): void => {
    start = undefined;
    show(0, 0);
  };

  over.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    start = placeOf(event);
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") {
      // Touches make no mouse events while they move: the values follow the finger.
      chart.setCursor({ left: placeOf(event), top: 10 });
    }
    if (start === undefined) return;
    const at = placeOf(event);
    show(Math.min(start, at), Math.max(start, at));
  });
  over.addEventListener("pointerup", (event) => {
    if (start === undefined) return;
    const [from, to] = [start, placeOf(event)].toSorted((a, b) => a - b) as [number, number];
    end();
    if (to - from >= LEAST) {
      tapped = 0;
      picked(chart.posToVal(from, "x"), chart.posToVal(to, "x"));
      return;
    }
    const isDouble = event.timeStamp - tapped < DOUBLE_MS;
    tapped = isDouble ? 0 : event.timeStamp;
    if (isDouble) back?.();
  });
  // The browser scrolls instead.
  over.addEventListener("pointercancel", end);
}
