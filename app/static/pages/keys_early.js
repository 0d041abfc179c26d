// Keys that are pressed while a page's scripts are still on their way; keys.js takes them when it is there.
{
  const pressed = [];
  const note = (event) => pressed.push(event);
  addEventListener("keydown", note);
  window.morelliEarlyKeys = {
    take: () => {
      removeEventListener("keydown", note);
      return pressed;
    },
  };
}
