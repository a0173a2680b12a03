"""The wizard by keyboard alone, on a screen of 320 pixels, as one of 1,280 is at 400 %: what has the focus is seen, and
shows that it has it."""

import re

from looking import ALL_RULES, IN_BROWSER, Looking, expect, serving

pytestmark = IN_BROWSER
MOST = 80  # presses of a key until something has the focus

# Whether it has a ring or another edge than without the focus, and is wholly within the window
SEEN = """wanted => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const style = getComputedStyle(element), around = getComputedStyle(element.parentElement, "::after");
  const ring = style.outlineStyle !== "none" || style.boxShadow !== "none" || around.borderStyle !== "none";
  const box = element.getBoundingClientRect();
  const whole = box.top > -1 && box.bottom < innerHeight + 1;  // what is scrolled to ends between two pixels
  const part = box.height > innerHeight / 2 && box.top < innerHeight && box.bottom > 0;  // of a table
  // The button within a date has a ring of its own
  const shown = element.matches(":focus-visible") || element.type === "datetime-local";
  const seen = [shown, ring, whole || part, box.left >= 0 && box.right <= innerWidth];
  return [element === wanted, seen, element.outerHTML.split(">")[0]];
}"""


class Keys:
    def __init__(self, page):
        self.page = page

    def to(self, wanted):
        """By Tab, and never past anything that can't be seen."""
        for _ in range(MOST):
            self.page.keyboard.press("Tab")
            if focus := wanted.evaluate(SEEN):
                has_it, seen, told = focus
                assert seen == [True] * 4, told
                if has_it:
                    return
        raise AssertionError(f"{wanted} never had the focus")

    def press(self, wanted, key="Enter"):
        self.to(wanted)
        self.page.keyboard.press(key)


def test_a_plan_is_made_and_started_by_keys_on_a_very_narrow_screen(three_machines, chromium):
    with serving(three_machines) as (address, person):
        how = {"viewport": {"width": 320, "height": 640}, "locale": "en-GB"}
        tab = Looking(chromium, address, person.link, reduced_motion="reduce", **how)
        page, keys = tab.page, Keys(tab.page)
        page.set_default_timeout(60_000)

        def looked_at():
            page.wait_for_load_state("networkidle")
            for theme in ("dark", "light"):
                page.emulate_media(color_scheme=theme)
                assert tab.wrong_with_page(ALL_RULES) == [], (page.url, theme)

        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.keyboard.press("Enter")
        keys.press(page.get_by_role("link", name="Machines of vc"))
        page.wait_for_url("**/machines")
        looked_at()
        keys.press(page.get_by_label("Choose app01"), "Space")
        expect(page.get_by_label("Choose app01")).to_be_checked()
        keys.press(page.get_by_role("button", name="Plan the chosen ones"))
        page.wait_for_url("**/new-plan?**")
        keys.to(page.get_by_label("What to call the plan"))
        looked_at()
        page.keyboard.type("shop")
        keys.to(page.get_by_label(re.compile("^Cold")))
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label(re.compile("^Warm"))).to_be_checked()
        keys.press(page.get_by_role("button", name="Propose mappings"))
        expect(page.locator("#concerns")).to_contain_text("boot-proof-unsure")
        looked_at()
        keys.to(page.get_by_label("Network for VM Network"))
        page.keyboard.press("Home")
        expect(page.locator("#concerns")).to_contain_text("network-unmapped")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#concerns")).not_to_contain_text("network-unmapped")
        keys.press(page.get_by_role("button", name="Keep and check"))
        page.wait_for_url("**/concerns")
        looked_at()
        keys.press(page.get_by_role("button", name="Start it"))
        expect(page.get_by_text("1 queued").first).to_be_visible()
        tab.close()
    (begun,) = [m for m in three_machines.migrations.all() if m.machine_name == "app01"]
    assert begun.request["type"] == "warm"
