"use strict";
/* Virtual list: only the visible part of a long list is in the page. */

const OVERSCAN = 2; // lines of items kept ready above and below the screen

class Windowed {
  /* `list`: the element to fill. `layout(width)`: {columns, width, height, gap} of an item in pixels. `make(index)`: an
     item's element. All items have the height that `layout` gives. */
  constructor(list, count, layout, make) {
    Object.assign(this, { list, count, layout, make, items: new Map() });
    list.replaceChildren();
    this.measure();
  }

  /* Lay out for the current width, and draw. */
  measure() {
    this.size = this.layout(this.list.clientWidth);
    this.list.style.height = `${Math.max(0, this.lines() * (this.size.height + this.size.gap) - this.size.gap)}px`;
    for (const [index, item] of this.items) this.put(item, index);
    this.draw();
  }

  lines() {
    return Math.ceil(this.count / this.size.columns);
  }

  put(item, index) {
    const { columns, width, height, gap } = this.size;
    const x = Math.round((index % columns) * (width + gap)); // whole pixels keep the text sharp
    const y = Math.round(Math.floor(index / columns) * (height + gap));
    item.style.cssText = `width: ${width}px; height: ${height}px; transform: translate(${x}px, ${y}px)`;
  }

  /* Create visible items and remove the others, except an item with the focus. */
  draw() {
    const { columns, height, gap } = this.size;
    const above = -this.list.getBoundingClientRect().top;
    const line = (pixels) => Math.floor(pixels / (height + gap));
    const first = Math.max(0, line(above) - OVERSCAN) * columns;
    const end = Math.min(this.count, (line(above + innerHeight) + OVERSCAN + 1) * columns);
    for (const [index, item] of this.items) {
      if ((index < first || index >= end) && !item.contains(document.activeElement)) {
        item.remove();
        this.items.delete(index);
      }
    }
    let next = this.list.firstElementChild;
    for (let index = first; index < end; index += 1) {
      while (next && Number(next.dataset.index) < index) next = next.nextElementSibling;
      if (!this.items.has(index)) {
        const item = this.make(index);
        item.dataset.index = index;
        this.put(item, index);
        this.items.set(index, item);
        this.list.insertBefore(item, next); // in the order of the items, as screen readers read them
      }
    }
  }

  /* Scroll to an item, below `margin` pixels at the top, and return it. */
  reveal(index, margin) {
    const { columns, height, gap } = this.size;
    const top = this.list.getBoundingClientRect().top + Math.floor(index / columns) * (height + gap);
    if (top < margin) scrollBy({ top: top - margin - gap, behavior: "instant" });
    else if (top + height > innerHeight) scrollBy({ top: top + height - innerHeight + gap, behavior: "instant" });
    this.draw();
    return this.items.get(index);
  }
}
